import type { Kernel } from "../runner/kernel.ts";

/**
 * One, since emulated kernels were seen to lock up between two; and without the wide vectors of
 * newer ones, which programs prefer and emulation is slow at.
 */
const PROCESSOR = "Nehalem,+rdrand";

export interface EmulatorOptions {
  readonly kernel: Kernel;
  /** The archive that becomes its first root. */
  readonly root: string;
  readonly memoryMib: number;
  /** What its network forwards, in the words of qemu's `-netdev user`. */
  readonly forward?: string;
}

/** A machine whose console is its stdout; it ends where it would start again. */
export function emulator({ kernel, root, memoryMib, forward }: EmulatorOptions): string[] {
  const network = ["user,id=n", ...forward === undefined ? [] : [forward]].join(",");
  return [
    ...["qemu-system-x86_64", "-accel", "tcg", "-smp", "1", "-cpu", PROCESSOR],
    ...["-m", `${memoryMib}`],
    ...["-nodefaults", "-display", "none", "-no-reboot", "-serial", "stdio"],
    ...["-kernel", kernel.image, "-initrd", root],
    ...["-append", "console=ttyS0 quiet panic=-1 mitigations=off"],
    ...["-netdev", network, "-device", "virtio-net-pci,netdev=n"],
  ];
}
