import { runTool } from "./tools.ts";

/**
 * Certificates as an operator makes them with openssl, in directories as libnbd and qemu want them:
 * `good` and `stranger` (each with its own authority), `expired`, and `nobody`, which only trusts.
 */
export async function makePki(directory: string): Promise<void> {
  for (const authority of ["good", "stranger"]) {
    const at = `${directory}/${authority}`;
    Deno.mkdirSync(at);
    await makeKey(`${at}/ca-key.pem`);
    await runTool("openssl", ...[
      ...["req", "-x509", "-new", "-key", `${at}/ca-key.pem`, "-subj", `/CN=${authority}`],
      ...["-days", "30", "-addext", "keyUsage=critical,keyCertSign", "-out", `${at}/ca-cert.pem`],
    ]);
    await issue(at, { name: "server", days: "30" });
    await issue(at, { name: "client", days: "30" });
  }
  Deno.mkdirSync(`${directory}/nobody`);
  Deno.copyFileSync(`${directory}/good/ca-cert.pem`, `${directory}/nobody/ca-cert.pem`);
  Deno.copyFileSync(`${directory}/good/ca-cert.pem`, `${directory}/stranger/ca-cert.pem`);
  Deno.mkdirSync(`${directory}/expired`);
  for (const file of ["ca-cert.pem", "ca-key.pem"]) {
    Deno.copyFileSync(`${directory}/good/${file}`, `${directory}/expired/${file}`);
  }
  await issue(`${directory}/expired`, { name: "client", days: "-1" });
}

async function issue(at: string, leaf: { name: string; days: string }): Promise<void> {
  const [key, request] = [`${at}/${leaf.name}-key.pem`, `${at}/${leaf.name}.csr`];
  await makeKey(key);
  await runTool(
    "openssl",
    ...["req", "-new", "-key", key, "-subj", `/CN=${leaf.name}`, "-out", request],
  );
  Deno.writeTextFileSync(`${at}/extensions`, "subjectAltName=IP:127.0.0.1,DNS:localhost\n");
  await runTool("openssl", ...[
    ...["x509", "-req", "-in", request, "-CA", `${at}/ca-cert.pem`, "-CAkey", `${at}/ca-key.pem`],
    ...["-CAcreateserial", "-days", leaf.days, "-extfile", `${at}/extensions`],
    ...["-out", `${at}/${leaf.name}-cert.pem`],
  ]);
}

async function makeKey(path: string): Promise<void> {
  const curve = ["-pkeyopt", "ec_paramgen_curve:P-256"];
  await runTool("openssl", "genpkey", "-algorithm", "EC", ...curve, "-out", path);
}
