'use strict';
// A root for each user of a service: kept open for the next request, for the `max` users who came last. A root that
// falls out is not closed under a request that still works with it: it is released when nobody has it any more.

module.exports = (users, { max = 100, ...policy } = {}) => {
  const open = new Map();
  const of = (user) => {
    // One name, for a path would lead to a directory of another user, and `.` to all of them.
    if (!/^[\w-]{1,64}$/.test(user)) throw Object.assign(new Error('no such user'), { code: 'ENOENT' });
    const known = open.get(user);
    const root = known === undefined || known.closed || known.deleted ? users.openRoot(user, policy) : known;
    open.delete(user);
    if (open.set(user, root).size > max) open.delete(open.keys().next().value);
    return root;
  };
  return { of, close: () => open.forEach((root) => root.close()) };
};
