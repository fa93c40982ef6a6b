const rss=()=> (Deno.memoryUsage().rss/1048576).toFixed(1);
console.log("bare",rss()); await import("/work/main/kv/schema/agent.ts"); console.log("schema",rss());
await import("/work/main/api/client.ts"); console.log("client",rss());
await import("/work/main/worker/worker.ts"); console.log("worker",rss());
await import("/work/main/worker/docker/connect.ts"); await import("/work/main/worker/docker/docker.ts"); console.log("docker",rss());
