// Holds calls and answers against the official descriptions with oav's LiveValidator, Microsoft's own. On its input: a JSON object
// with `directory` and `exchanges`; on its output: a JSON array of what is not as described.
"use strict";
const { LiveValidator } = require("oav");

async function main() {
  const text = require("fs").readFileSync(0, "utf8");
  const { directory, swaggers, exchanges } = JSON.parse(text);
  const options = {
    git: { shouldClone: false },
    directory,
    swaggerPaths: swaggers,
    swaggerPathsPattern: [],
    isPathCaseSensitive: false,
    loadValidatorInBackground: false,
    loadValidatorInInitialize: false,
  };
  // Its log would be in the way of the result.
  const validator = new LiveValidator(options, () => {});
  await validator.initialize();
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
  process.stdout.write(JSON.stringify(found));
}

main().catch((error) => {
  process.stderr.write(String((error && error.stack) || error));
  process.exit(1);
});
