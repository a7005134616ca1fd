import { runSyncHelper } from "./epoll_helper.ts";

/** The helper worker where the program is not one bundle. */
runSyncHelper();
