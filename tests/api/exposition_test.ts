import { assertEquals } from "@std/assert";
import { createHistogram, exposition } from "../../api/exposition.ts";

Deno.test("a family is its help, its type and a line for each sample, with what is special escaped", () => {
  const text = exposition([
    {
      name: "a_total",
      help: "Says \\ and\nmore",
      type: "counter",
      samples: [
        { value: 1.5 },
        { labels: { path: 'C:\\x "y"\n' }, value: -Infinity },
        { labels: { x: "1", y: "2" }, value: NaN },
      ],
    },
    { name: "b", help: "None yet", type: "gauge", samples: [] },
  ]);
  assertEquals(text.split("\n"), [
    "# HELP a_total Says \\\\ and\\nmore",
    "# TYPE a_total counter",
    "a_total 1.5",
    'a_total{path="C:\\\\x \\"y\\"\\n"} -Inf',
    'a_total{x="1",y="2"} NaN',
    "",
    "# HELP b None yet",
    "# TYPE b gauge",
    "",
  ]);
});

Deno.test("a histogram counts each value in its bucket and all above, by its labels", () => {
  const histogram = createHistogram(["route"], [0.1, 1]);
  for (const value of [0.05, 0.1, 0.5, 7]) histogram.observe(["/a"], value);
  histogram.observe(["/b"], 1);
  const text = exposition([
    { name: "h", help: "H", type: "histogram", samples: histogram.samples() },
  ]);
  assertEquals(text.split("\n"), [
    "# HELP h H",
    "# TYPE h histogram",
    'h_bucket{le="0.1",route="/a"} 2',
    'h_bucket{le="1",route="/a"} 3',
    'h_bucket{le="+Inf",route="/a"} 4',
    'h_sum{route="/a"} 7.65',
    'h_count{route="/a"} 4',
    'h_bucket{le="0.1",route="/b"} 0',
    'h_bucket{le="1",route="/b"} 1',
    'h_bucket{le="+Inf",route="/b"} 1',
    'h_sum{route="/b"} 1',
    'h_count{route="/b"} 1',
    "",
  ]);
});
