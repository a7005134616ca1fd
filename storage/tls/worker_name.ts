/** By this name main.ts knows what it was started for. */
export const TLS_WORKER_NAME = "dvsan-tls";
