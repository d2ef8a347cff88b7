'use strict';

module.exports.createFs = require('./lib/fs/view.js').createFs;
