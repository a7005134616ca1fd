import type { Label } from "./label.ts";

/** The label that the golden vector in data/ holds: two volumes, one of them over two media. */
export function sampleLabel(): Label {
  const leg = {
    diskId: "11111111-2222-4333-8444-555555555555",
    diskName: "db",
    layout: "linear" as const,
    leg: 0,
    legs: 1,
    ownerId: "fedcba9876543210fedcba9876543210",
    ownerName: "h1",
    ownerKey: new Uint8Array(32).fill(0x11),
  };
  const mediumId = "0a0b0c0d-0e0f-4011-8213-141516171819";
  return {
    sequence: 7,
    mediumId,
    unitId: "0123456789abcdef0123456789abcdef",
    clusterId: "c1",
    name: "u1",
    sizeBytes: 64 * 2 ** 20,
    opens: 2,
    epoch: 3,
    instance: "first",
    nextNumber: 3,
    volumes: [{
      id: "aaaaaaaa-0000-4000-8000-000000000001",
      number: 1,
      sequence: 2,
      sizeBytes: 8 * 2 ** 20,
      media: [mediumId],
      extents: [[0, 1, 9]],
      leg,
      grant: {
        generation: { epoch: 3, counter: 1 },
        hostId: leg.ownerId,
        hostKey: leg.ownerKey,
        state: "active",
        sizeBytes: 8 * 2 ** 20,
      },
      fencedThrough: null,
      deleting: false,
    }, {
      id: "aaaaaaaa-0000-4000-8000-000000000002",
      number: 2,
      sequence: 1,
      sizeBytes: 16 * 2 ** 20,
      media: [mediumId, "0a0b0c0d-0e0f-4011-8213-14151617181a"],
      extents: [[0, 10, 12], [1, 1, 5]],
      leg,
      grant: null,
      fencedThrough: { epoch: 3, counter: 4 },
      deleting: false,
    }],
    zeroed: [[1, 21], [30, 10]],
  };
}
