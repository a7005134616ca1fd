import { Libc } from "../io/libc.ts";
import { replyToGone } from "./testing_gone.ts";

const SIGPIPE = 13;
const SIG_DFL = 0n;

// A process of its own, which a SIGPIPE ends; its argument is the Io.
const libc = new Libc();
libc.call.signal(SIGPIPE, SIG_DFL);
libc.close();
replyToGone(Deno.args[0] === "uring" ? "uring" : "epoll");
