// node ajv.js AJV SCHEMA FOLDER: prints the speed of parsing and validating every file of the folder, and of validating alone, MB/s.
const fs = require("node:fs"), path = require("node:path");
const [, , ajvPath, schemaPath, folder] = process.argv;
const Ajv = require(ajvPath).default;
const ajv = new Ajv({ allErrors: true, strict: false });
ajv.addFormat("date-time", true);
ajv.addKeyword({
  keyword: "requireBestPath",
  validate: (_, words) => words.length < 2 || words.filter((word) => word.bestPath === true).length === 1,
});
const validate = ajv.compile(JSON.parse(fs.readFileSync(schemaPath, "utf8")));
const files = fs.readdirSync(folder).map((name) => fs.readFileSync(path.join(folder, name)));
const bytes = files.reduce((sum, file) => sum + file.length, 0);
const parsed = files.map((file) => JSON.parse(file.toString("utf8")));

function speed(pass) {
  const rounds = [];
  for (let round = 0; round < 7; round++) {
    const began = process.hrtime.bigint();
    let passes = 0, took = 0;
    do {
      if (!pass()) throw new Error(JSON.stringify(validate.errors.slice(0, 3)));
      passes++;
      took = Number(process.hrtime.bigint() - began) / 1e9;
    } while (took < 0.5);
    rounds.push((bytes * passes) / 1e6 / took);
  }
  return rounds.sort((a, b) => a - b)[3];
}
const whole = speed(() => files.every((file) => validate(JSON.parse(file.toString("utf8")))));
const alone = speed(() => parsed.every((document) => validate(document)));
console.log(whole.toFixed(1), alone.toFixed(1));
