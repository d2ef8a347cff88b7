'use strict';

module.exports.SandboxRoot = require('./lib/root.js').SandboxRoot;
