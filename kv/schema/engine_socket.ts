/**
 * Where engines of this machine listen, unless DOCKER_HOST says otherwise.
 *
 * @module
 */

/** The sockets that are looked for, in order. */
export function engineSockets(
  env: (name: string) => string | undefined,
): { path: string; what: string }[] {
  const home = env("HOME");
  const runtimeDir = env("XDG_RUNTIME_DIR");
  return [
    { path: "/var/run/docker.sock", what: "docker" },
    ...(home ? [{ path: `${home}/.docker/run/docker.sock`, what: "docker desktop" }] : []),
    ...(runtimeDir ? [{ path: `${runtimeDir}/docker.sock`, what: "rootless docker" }] : []),
    ...(runtimeDir ? [{ path: `${runtimeDir}/podman/podman.sock`, what: "rootless podman" }] : []),
    { path: "/run/podman/podman.sock", what: "podman" },
  ];
}
