/** Limits of what the station does when it, units and hosts disagree (roles/station). */

/**
 * Numbers that only rise (of volumes, of openings, of a station's epoch) and that somebody else
 * tells are followed up to these, which nobody who counts comes to. Whoever wrote a higher one is
 * not believed: there would be none above it, and a pool that followed it could not go on.
 */
export const VOLUME_NUMBER_MAX = 2 ** 48;
export const MEDIUM_OPENS_MAX = 2 ** 24;
/** Of one opening; the count of openings is above it, so that revisions always rise. */
export const REVISIONS_PER_OPENING = 2 ** 28;
/** Told by a unit; a station goes above it. */
export const EPOCH_TOLD_MAX = 2 ** 31;
/** A station's own, by its starts. Versions of maps count from a step of it. */
export const EPOCH_MAX = 2 ** 32;
export const MAP_VERSIONS_PER_EPOCH = 2 ** 20;
export const EVENT_NUMBER_MAX = 2 ** 48;

/** Tombstones that were done and are kept, for volumes that old media bring back. */
export const TOMBSTONES_DONE_MAX = 10_000;
/** A unit that adopts or reopens a medium waits for its connections first. */
export const MEDIUM_CHANGE_MS_MAX = 90_000;
/** Thereof, for each of: calls under way, a sync of all media, last operations, a file's close. */
export const MEDIUM_SETTLE_MS_MAX = 5000;
/** And until each medium's label was read, and as long until it was written. */
export const MEDIUM_OPEN_MS_MAX = 30_000;
/** Between two attempts to open a medium again that this process has just closed. */
export const MEDIUM_BUSY_RETRY_MS = 10;
/**
 * How long a process that starts waits for a medium that somebody has: the one before it, which was
 * killed, for the kernel lets go of what an io_uring had some time after its process has ended.
 */
export const MEDIUM_LEFT_MS_MAX = 1000;
/** Runs of a node's process that are told apart, and how long a copied identity stays shown. */
export const RUNS_PER_NODE_KEPT = 4;
export const COPY_SHOWN_MS = 10 * 60_000;
/** A task whose end cannot be written (the catalog's disk is full) tries that again after this. */
export const CATALOG_RETRY_MS = 2000;
/** What a unit cannot keep in its state directory is tried again after this. */
export const STATE_RETRY_MS = 5000;
/** A node writes how far the station's catalog is after this, and once for all meanwhile. */
export const HEARD_CATALOG_KEPT_MS = 10_000;
/** Starts of a station, and other stations with its key, that its catalog remembers. */
export const STATION_INSTANCES_KEPT = 200;

/** Of the random id of one opening of a medium. */
export const OPENING_ID_BYTES = 8;
/**
 * A label has the ids of so many openings, newest first. A station that heard of none of so many
 * restarts of a unit cannot tell whether its media were put back before.
 */
export const OPENINGS_KEPT_MAX = 16;
/** A station remembers of so many media of a unit what they were when it saw them last. */
export const MEDIA_PASTS_PER_UNIT_MAX = 128;
