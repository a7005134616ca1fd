/** A kernel to boot in a virtual machine, and the folder of its modules. */
export interface Kernel {
  readonly image: string;
  readonly modules: string;
}

const META_PACKAGE = "linux-image-cloud-amd64";

/** The kernel that Debian's package brings: installed, or unpacked by `fetchKernel`; or null. */
export function findKernel(): Kernel | null {
  for (const root of ["", cacheFolder()]) {
    for (const name of namesIn(`${root}/boot`)) {
      const version = /^vmlinuz-(\d.*amd64)$/.exec(name)?.[1];
      if (version === undefined) continue;
      const modules = [`${root}/lib/modules/${version}`, `${root}/usr/lib/modules/${version}`]
        .find((folder) => namesIn(folder).length > 0);
      if (modules !== undefined) return { image: `${root}/boot/${name}`, modules };
    }
  }
  return null;
}

/**
 * Unpacks Debian's kernel into a cache of our own, by apt-get, which must be there: installing it
 * would change how this machine boots. False when it cannot be had.
 */
export async function fetchKernel(): Promise<boolean> {
  if (findKernel() !== null) return true;
  const about = await output("apt-cache", ["show", META_PACKAGE]);
  const name = /^Depends: (linux-image-[\w.+-]+)/m.exec(about)?.[1];
  if (name === undefined) return false;
  const folder = Deno.makeTempDirSync({ prefix: "dvsan-kernel-" });
  try {
    console.log(`Fetching a kernel for virtual machines: ${name}`);
    await output("apt-get", ["-qq", "download", name], folder);
    const [file] = namesIn(folder);
    if (file === undefined) return false;
    Deno.mkdirSync(cacheFolder(), { recursive: true });
    await output("dpkg-deb", ["-x", `${folder}/${file}`, cacheFolder()]);
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
  return findKernel() !== null;
}

function cacheFolder(): string {
  const home = Deno.env.get("XDG_CACHE_HOME") ?? `${Deno.env.get("HOME") ?? "/root"}/.cache`;
  return `${home}/dvsan-test-kernel`;
}

async function output(command: string, args: string[], cwd = "/"): Promise<string> {
  const { stdout } = await new Deno.Command(command, {
    args,
    cwd,
    stdin: "null",
    stderr: "null",
    env: { LC_ALL: "C" },
  }).output();
  return new TextDecoder().decode(stdout);
}

function namesIn(folder: string): string[] {
  try {
    return [...Deno.readDirSync(folder)].map(({ name }) => name).sort();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}
