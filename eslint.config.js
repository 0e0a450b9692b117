// Rules for the page's modules: a module knows the browser, a worklet only its own scope.

import js from "@eslint/js";
import globals from "globals";

const WORKLETS = ["personaplex_app/ui/static/audio/*-worklet.js"];
const WORKERS = ["personaplex_app/ui/static/**/*-worker.js"];

export default [
  { ignores: [".venv/", "node_modules/", "data/"] },
  js.configs.recommended,
  {
    linterOptions: { reportUnusedDisableDirectives: "error" },
    languageOptions: { ecmaVersion: 2022, sourceType: "module", globals: globals.browser },
    rules: {
      curly: ["error", "multi-line", "consistent"],
      "default-case-last": "error",
      eqeqeq: "error",
      "max-len": ["error", { code: 120 }],
      "max-lines": ["error", { max: 300 }],
      "no-duplicate-imports": "error",
      "no-implicit-coercion": "error",
      "no-nested-ternary": "error",
      "no-param-reassign": "error",
      "no-shadow": "error",
      "no-unused-vars": ["error", { ignoreRestSiblings: true }],
      "no-use-before-define": ["error", { functions: false, classes: false }],
      "no-var": "error",
      "object-shorthand": "error",
      "prefer-const": "error",
    },
  },
  { files: ["**/*.config.js", "examples/*.js"], languageOptions: { globals: globals.node } },
  { files: WORKERS, languageOptions: { globals: globals.worker } },
  { files: WORKLETS, languageOptions: { globals: globals.audioWorklet } },
];
