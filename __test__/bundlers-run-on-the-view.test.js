'use strict';
// enhanced-resolve, webpack and rollup on a view of a root: they find, read and write modules there alone.

const assert = require('node:assert');
const fs = require('node:fs');
const { promisify } = require('node:util');
const { SECRET, asked, load, onNodeFs, onView } = require('./clients/world.js');
const { link } = require('./support.js');

/** Written in CommonJS and as an ES module: a program, a package with `exports`, and one that is a link. */
const TREE = {
  project: {
    'package.json': '{ "name": "project", "sideEffects": false }',
    src: {
      'index.js':
        "import { one } from './one';\nimport two from 'two';\nimport three from 'linked';\nconsole.log(one + two + three);\n",
      'one.js': "export const one = 'uno';\n",
      'data.json': '{ "a": 1 }',
    },
    node_modules: {
      two: {
        'package.json': '{ "name": "two", "exports": { ".": "./lib/main.js", "./inner": "./lib/inner.js" } }',
        lib: { 'main.js': "export default 'dos';\n", 'inner.js': '' },
      },
      linked: link('../packages/three'),
    },
    packages: {
      three: {
        'package.json': '{ "name": "three", "main": "three.js" }',
        'three.js': "export default 'tres';\n",
      },
    },
  },
};

const REQUESTS = [
  './one',
  './one.js',
  './data',
  'two',
  'two/inner',
  'two/hidden',
  'linked',
  './missing',
  '..',
  'linked/three',
];

/** What a resolver answers to each request. */
async function resolved(resolve, from, requests, strip = '') {
  const answers = {};
  for (const request of requests) {
    const answer = await resolve({}, from, request, {}).catch(
      (error) => `none: ${error.message.split(' in ', 1)}`,
    );
    answers[request] = `${answer}`.replaceAll(strip, '');
  }
  return answers;
}

const EXTENSIONS = ['.js', '.json'];

for (const symlinks of ['beneath', 'in-root']) {
  onView(
    `enhanced-resolve finds what it finds on node:fs (symlinks: '${symlinks}')`,
    { tree: TREE, symlinks },
    async ({ view, at, dir }) => {
      const { create, CachedInputFileSystem, ResolverFactory } = (await load('enhanced-resolve')).default;
      const on = (fileSystem) =>
        promisify(create({ fileSystem, extensions: EXTENSIONS, conditionNames: ['node'] }));
      const expected = await onNodeFs(() => resolved(on(fs), at('project/src'), REQUESTS, dir));
      assert.strictEqual(expected.linked, '/project/packages/three/three.js');
      assert.deepStrictEqual(await resolved(on(view), '/project/src', REQUESTS), expected);
      const cached = new CachedInputFileSystem(view, 4000);
      assert.deepStrictEqual(await resolved(on(cached), '/project/src', REQUESTS), expected);
      const sync = ResolverFactory.createResolver({
        fileSystem: cached,
        extensions: EXTENSIONS,
        useSyncFileSystemCalls: true,
      });
      assert.strictEqual(
        sync.resolveSync({}, '/project/src', 'two'),
        '/project/node_modules/two/lib/main.js',
      );
    },
  );
}

for (const symlinks of ['reject', 'beneath', 'in-root']) {
  onView(
    `enhanced-resolve finds nothing outside (symlinks: '${symlinks}')`,
    { tree: TREE, symlinks },
    async ({ view, traps }) => {
      const { create } = (await load('enhanced-resolve')).default;
      traps('project/src/out', 'project/node_modules/out');
      const resolve = promisify(create({ fileSystem: view, extensions: EXTENSIONS }));
      const requests = [
        './out/index',
        './out/sub/deep',
        'out',
        'out/sub/deep.js',
        './out-relative/index.js',
        '../../../outside/index.js',
      ];
      for (const [request, answer] of Object.entries(await resolved(resolve, '/project/src', requests)))
        assert.match(answer, /^none: /, request);
    },
  );
}

/** Without these webpack looks for something on `node:fs`, past its file systems: see below. */
const KEPT_IN = { target: 'web', uniqueName: 'project', minimize: false };

/** Runs webpack with its file systems on the view, and gives its statistics. */
async function packed(view, { target, uniqueName, minimize } = KEPT_IN) {
  const webpack = (await load('webpack')).default;
  // By a plugin: what is set later comes too late for some, such as a cache on the disk.
  const setFileSystems = (compiler) => {
    compiler.inputFileSystem = view;
    compiler.outputFileSystem = view;
    compiler.intermediateFileSystem = view;
  };
  const compiler = webpack({
    mode: 'production',
    context: '/project',
    entry: './src/index.js',
    output: { path: '/project/dist', filename: '[name].js', clean: true, uniqueName },
    target,
    optimization: { minimize },
    plugins: [{ apply: setFileSystems }],
    devtool: 'source-map',
  });
  const stats = await promisify(compiler.run).call(compiler);
  await promisify(compiler.close).call(compiler);
  return stats.toJson({ all: false, errors: true, assets: true });
}

onView(
  'webpack reads its modules in the view, and writes there',
  { tree: TREE, symlinks: 'beneath' },
  async ({ view, at }) => {
    fs.mkdirSync(at('project/dist'));
    fs.writeFileSync(at('project/dist/stale.js'), '');
    const { errors, assets } = await packed(view);
    assert.deepStrictEqual(errors, []);
    assert.deepStrictEqual(
      assets.map(({ name }) => name),
      ['main.js'],
    );
    assert.deepStrictEqual(fs.readdirSync(at('project/dist')).sort(), ['main.js', 'main.js.map']);
    assert.match(fs.readFileSync(at('project/dist/main.js'), 'utf8'), /uno.*dos.*tres/s);
  },
);

for (const symlinks of ['reject', 'beneath', 'in-root']) {
  onView(
    `webpack reads and writes nothing outside (symlinks: '${symlinks}')`,
    { tree: TREE, symlinks },
    async ({ view, at, base, traps }) => {
      traps('project/src/out', 'project/node_modules/out');
      for (const request of ['./out/index.js', 'out', './out-relative/sub/deep.js']) {
        fs.writeFileSync(at('project/src/index.js'), `import '${request}';\n`);
        const { errors } = await packed(view);
        assert.match(errors[0]?.message ?? '', /Module not found/, request);
      }
      assert.ok(!fs.existsSync(at('project/dist')));
      fs.writeFileSync(at('project/src/index.js'), 'console.log(1);\n');
      fs.symlinkSync(`${base}/outside`, at('project/dist'));
      await assert.rejects(packed(view));
    },
  );
}

/** The options of webpack, and what it asks `node:fs` for where one is left out. */
const PASSED_BY = {
  'the name of the package': [{ uniqueName: undefined }, 'readFileSync /project/package.json'],
  'the browsers of a target': [{ target: undefined }, 'existsSync /project'],
  'the browsers of a minimizer': [{ minimize: true }, 'existsSync /project'],
};

for (const [what, [options, expected]] of Object.entries(PASSED_BY)) {
  onView(`webpack asks node:fs for ${what}`, { tree: TREE, symlinks: 'beneath' }, async ({ view }) => {
    const { default: browserslist } = await load('browserslist');
    browserslist.clearCaches();
    await packed(view, { ...KEPT_IN, ...options });
    assert.ok(asked().splice(0).includes(expected));
  });
}

/** Runs rollup, which finds what is not in a package by itself, and gives its output. */
async function rolledUp(view, options = {}) {
  const { rollup } = await load('rollup');
  const { create } = (await load('enhanced-resolve')).default;
  const resolve = promisify(create({ fileSystem: view }));
  const packages = {
    name: 'packages',
    resolveId: (source) => (/^\w/.test(source) ? resolve({}, '/project/src', source, {}) : null),
  };
  const bundle = await rollup({
    input: '/project/src/index.js',
    fs: view.promises,
    plugins: [packages],
    ...options,
  });
  const { output } = await bundle.write({ dir: '/project/dist/deep', format: 'es', sourcemap: true });
  await bundle.close();
  return output;
}

onView(
  'rollup reads its modules in the view, and writes there',
  { tree: TREE, symlinks: 'beneath' },
  async ({ view, at }) => {
    fs.symlinkSync('index.js', at('project/src/link.js'));
    const output = await rolledUp(view, { input: '/project/src/link.js' });
    const names = output.map(({ fileName }) => fileName);
    assert.deepStrictEqual(fs.readdirSync(at('project/dist/deep')).sort(), names.sort());
    const [name] = names;
    assert.match(fs.readFileSync(at('project/dist/deep', name), 'utf8'), /'uno'.*'dos'.*'tres'/s);
    // By its real path.
    assert.ok(output[0].moduleIds.includes('/project/src/index.js'));
  },
);

for (const symlinks of ['reject', 'beneath', 'in-root']) {
  onView(
    `rollup reads and writes nothing outside (symlinks: '${symlinks}')`,
    { tree: TREE, symlinks },
    async ({ view, at, base, traps }) => {
      traps('project/src/out', 'project/node_modules/out');
      fs.symlinkSync(`${base}/outside/secret`, at('project/src/secret.js'));
      const requests = ['./out/index.js', 'out', './out-relative/sub/deep.js', './secret.js'];
      for (const request of requests) {
        fs.writeFileSync(at('project/src/index.js'), `import '${request}';\n`);
        await assert.rejects(rolledUp(view), (error) => !`${error.stack}`.includes(SECRET), request);
      }
      fs.writeFileSync(at('project/src/index.js'), 'console.log(1);\n');
      fs.symlinkSync(`${base}/outside`, at('project/dist'));
      await assert.rejects(rolledUp(view));
    },
  );
}
