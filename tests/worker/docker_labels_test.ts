import { assertEquals } from "@std/assert";
import { engineLabels } from "../../worker/docker/labels.ts";

Deno.test("the engine's labels are read as pairs; what is no label is left out", () => {
  assertEquals(engineLabels(["disk=ssd", "url=http://a=b", "bare", "=x", "bad key=1"]), {
    disk: "ssd",
    url: "http://a=b",
    bare: "",
  });
  const many = Array.from({ length: 99 }, (_, i) => `l${i}=x`);
  assertEquals(Object.keys(engineLabels(many)).length, 64);
});
