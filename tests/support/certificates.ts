/**
 * Self-signed certificates, made by openssl.
 *
 * @module
 */
export async function certificateFor(host: string): Promise<{ chain: string; key: string }> {
  const made = await new Deno.Command("openssl", {
    args: [
      ...["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"],
      ...["-days", "30", "-subj", `/CN=${host}`, "-addext", `subjectAltName=DNS:${host}`],
      ...["-keyout", "-", "-out", "-"],
    ],
    stderr: "null",
  }).output();
  const text = new TextDecoder().decode(made.stdout);
  const at = text.indexOf("-----BEGIN CERTIFICATE");
  if (!made.success || at === -1) throw new Error("openssl makes no certificate");
  return { key: text.slice(0, at), chain: text.slice(at) };
}
