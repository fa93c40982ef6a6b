import { assertEquals } from "@std/assert";
import { stringify } from "yaml";
import { composeOf } from "../../../cli/compose/convert/from_run.ts";
import { quoted, runLine } from "../../../cli/compose/convert/to_run.ts";
import { shellWords } from "../../../cli/compose/values.ts";
import { berth } from "../support.ts";
import { projectIn } from "./support.ts";

function fromLine(line: string): unknown {
  const made = composeOf(shellWords(line) ?? []);
  return made.ok ? made.value : made.message;
}

Deno.test("a docker run line becomes a service with the same meaning", () => {
  const line =
    "docker run -dit --rm --name my_web -p 8080:80 -p53:53/udp -e A=1 -eB -v data:/d:ro " +
    "--restart=on-failure:3 --cpus .5 -m 64m --cap-add NET_ADMIN --ulimit nofile=1:2 --init " +
    "--health-cmd 'curl -f x' --health-interval 5s --mount type=tmpfs,dst=/t,tmpfs-size=1m " +
    "--log-opt max-size=1m --entrypoint /bin/sh nginx:1.27 -c 'echo $HOME'";
  assertEquals(fromLine(line), {
    services: {
      "my-web": {
        image: "nginx:1.27",
        stdin_open: true,
        tty: true,
        container_name: "my_web",
        ports: ["8080:80", "53:53/udp"],
        environment: { A: "1", B: null },
        volumes: ["data:/d:ro", { type: "tmpfs", target: "/t", tmpfs: { size: "1m" } }],
        restart: "on-failure:3",
        cpus: 0.5,
        mem_limit: "64m",
        cap_add: ["NET_ADMIN"],
        ulimits: { nofile: { soft: 1, hard: 2 } },
        init: true,
        healthcheck: { test: "curl -f x", interval: "5s" },
        logging: { options: { "max-size": "1m" } },
        entrypoint: ["/bin/sh"],
        command: ["-c", "echo $$HOME"],
      },
    },
    volumes: { data: {} },
  });
  assertEquals(fromLine("docker run --net host -v ./a:/a -v /b nginx"), {
    services: { nginx: { image: "nginx", network_mode: "host", volumes: ["./a:/a", "/b"] } },
  });
  assertEquals(fromLine("docker run --network-alias db --network=back nginx"), {
    services: { nginx: { image: "nginx", networks: { back: { aliases: ["db"] } } } },
    networks: { back: { external: true } },
  });
});

Deno.test("a flag without counterpart, a missing value and a missing image are named", () => {
  assertEquals(
    fromLine("docker run -P nginx"),
    "-P has no counterpart in a Compose file: take it out",
  );
  assertEquals(
    fromLine("docker run --cap-magic x nginx"),
    "--cap-magic has no counterpart in a Compose file: take it out",
  );
  assertEquals(fromLine("docker run --name"), "--name needs a value");
  assertEquals(fromLine("docker run -d"), "there is no image in this line");
});

const SERVICE = `
image: nginx:1.27
container_name: web
hostname: box
command: [serve, "--name=a b", $$HOME]
environment: {A: "1", B: it's}
ports: ["8080:80", "53:53/udp"]
cap_add: [NET_ADMIN]
privileged: true
restart: always
mem_limit: 64m
volumes: ["data:/data:ro"]
tmpfs: [/run]
extra_hosts: ["db=10.0.0.7"]
ulimits: {nofile: {soft: 1, hard: 2}}
healthcheck: {test: [CMD-SHELL, curl -f x], retries: 2}
`;

Deno.test("there and back: a service becomes a line that becomes the same service", async () => {
  const lines = async (text: string) => {
    const project = await projectIn(text);
    return [...project.services.values()].map((service) => runLine(project, service).words);
  };
  const indented = SERVICE.trim().split("\n").map((line) => `    ${line}`).join("\n");
  const [line = []] = await lines(`services:\n  web:\n${indented}\nvolumes: {data: {}}`);
  const back = composeOf(line);
  if (!back.ok) throw new Error(back.message);
  assertEquals(await lines(stringify(back.value)), [line]);
  assertEquals(shellWords(line.map(quoted).join(" ")), line);
});

Deno.test("convert prints a file for a line, and lines for a file", async () => {
  const file = await berth(["convert", "docker", "run", "-p", "80:80", "nginx"]);
  assertEquals([file.code, file.out], [
    0,
    "services:\n  nginx:\n    image: nginx\n    ports:\n      - 80:80\n",
  ]);
  const line = await berth(["convert", "-f", "c.yaml"], {
    files: {
      "/srv/shop/c.yaml": "services: {web: {image: nginx, user: me, deploy: {replicas: 2}}}",
    },
  });
  assertEquals([line.code, line.out], [0, "docker run -d --name shop-web-1 --user me nginx\n"]);
  assertEquals(line.err, "note: web: docker run has no flag for deploy\n");

  const several = await berth(["convert"], {
    files: {
      "/srv/shop/compose.yaml":
        "services: {web: {image: w, depends_on: [db]}, db: {image: d, networks: {default: {aliases: [store]}}}}",
    },
  });
  assertEquals(several.out.trim().split("\n"), [
    "docker network create shop",
    "docker run -d --name shop-db-1 --network shop --network-alias db --network-alias store d",
    "docker run -d --name shop-web-1 --network shop --network-alias web w",
  ]);
});
