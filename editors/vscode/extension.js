"use strict";

const vscode = require("vscode");

let client;

/** Starts `bileveldsl lsp`; where the client library or the command is missing, models are only coloured. */
async function activate() {
  let library;
  try {
    library = require("vscode-languageclient/node");
  } catch {
    return;
  }
  const command = vscode.workspace.getConfiguration("bileveldsl").get("command", "bileveldsl");
  client = new library.LanguageClient("bileveldsl", "Bilevel models", { command, args: ["lsp"] }, {
    documentSelector: [{ scheme: "file", language: "blv" }],
    synchronize: { fileEvents: vscode.workspace.createFileSystemWatcher("**/*.{blv,csv,json,npy,npz,parquet}") },
  });
  try {
    await client.start();
  } catch (error) {
    client = undefined;
    vscode.window.showWarningMessage(
      `Bilevel models: cannot start "${command} lsp" (${error.message}). ` +
        "Set bileveldsl.command to the path of the command; until then models are only coloured.",
    );
  }
}

async function deactivate() {
  await client?.stop();
}

module.exports = { activate, deactivate };
