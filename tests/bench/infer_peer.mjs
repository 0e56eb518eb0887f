// Tokens per second of llama.cpp (npm package node-llama-cpp, prebuilt) on the
// same file and token ids as tests/bench/infer.c.
//
//   cd DIR && npm i node-llama-cpp @node-llama-cpp/linux-x64
//   NODE_MODULES=DIR/node_modules node tests/bench/infer_peer.mjs MODEL.gguf [threads [prompt [generate]]]
//
// One JSON object on stdout; "peer missing" when the package is not there.
import { pathToFileURL } from "node:url";
import path from "node:path";

const [file, threads = 2, prompt = 128, generate = 64] = process.argv.slice(2).map((a, i) => (i ? Number(a) : a));
if (!file) {
    console.error("usage: infer_peer.mjs MODEL.gguf [threads [prompt [generate]]]");
    process.exit(2);
}
let llama_cpp;
try {
    const root = path.resolve(process.env.NODE_MODULES ?? "node_modules");
    llama_cpp = await import(pathToFileURL(path.join(root, "node-llama-cpp", "dist", "index.js")));
} catch {
    console.log("peer missing");
    process.exit(0);
}
const llama = await llama_cpp.getLlama({ gpu: false, build: "never", progressLogs: false, logLevel: "error" });
const model = await llama.loadModel({ modelPath: path.resolve(file) });
const tokens = Array.from({ length: prompt }, (_, i) => 5 + ((i * 7919) % 200));
let prefill = 0, decode = 0;
for (let round = 0; round < 3; round++) {
    const context = await model.createContext({ contextSize: prompt + generate + 8, batchSize: 64, threads });
    const sequence = context.getSequence();
    let start = performance.now();
    await sequence.evaluateWithoutGeneratingNewTokens(tokens);
    prefill = Math.max(prefill, (prompt * 1000) / (performance.now() - start));
    start = performance.now();
    let n = 0;
    for await (const token of sequence.evaluate([7], { temperature: 0, yieldEogToken: true })) {
        void token;
        if (++n >= generate) break;
    }
    decode = Math.max(decode, (n * 1000) / (performance.now() - start));
    await context.dispose();
}
console.log(JSON.stringify({ peer: "llama.cpp", package: "node-llama-cpp", threads, prefill_tps: Math.round(prefill), decode_tps: Math.round(decode) }));
process.exit(0);
