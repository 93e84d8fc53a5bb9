// Holds calls and answers against the official descriptions with oav's LiveValidator, Microsoft's own. Its arguments: the folder of the
// descriptions, then those that are wanted. Each line of its input is a JSON array of calls with their answers; for each there is a line
// of output, a JSON array of what is not as described. It ends with its input, and stays until then, for what takes long is to begin.
"use strict";
const { LiveValidator } = require("oav");

async function held(validator, exchanges) {
  const found = [];
  for (const [index, { request, response }] of exchanges.entries()) {
    const result = await validator.validateLiveRequestResponse({ liveRequest: request, liveResponse: response });
    const sides = { request: result.requestValidationResult, response: result.responseValidationResult };
    for (const [side, { errors, runtimeException }] of Object.entries(sides)) {
      for (const one of errors || []) {
        const where = (one.pathsInPayload || []).join(" ");
        found.push({ index, side, code: one.code, message: one.message, where });
      }
      if (runtimeException) {
        found.push({ index, side, code: runtimeException.code, message: runtimeException.message, where: "" });
      }
    }
  }
  return found;
}

async function main() {
  const [directory, ...swaggerPaths] = process.argv.slice(2);
  const options = {
    git: { shouldClone: false },
    directory,
    swaggerPaths,
    swaggerPathsPattern: [],
    isPathCaseSensitive: false,
    loadValidatorInBackground: false,
    loadValidatorInInitialize: false,
  };
  // Its log would be in the way of the results.
  const validator = new LiveValidator(options, () => {});
  await validator.initialize();
  for await (const line of require("readline").createInterface({ input: process.stdin })) {
    process.stdout.write(`${JSON.stringify(await held(validator, JSON.parse(line)))}\n`);
  }
}

main().catch((error) => {
  process.stderr.write(String((error && error.stack) || error));
  process.exit(1);
});
