'use strict';
// What a program does about an error of a root: one function for every reason and every code that is documented.
//
//   const { action, status, means } = adviceOn(error);

/** What a program can do, and the HTTP status that fits. */
const ACTIONS = {
  refuse: { status: 403, means: 'The root does not allow this. Log it, and do not try again.' },
  permit: { status: 403, means: 'The process lacks a permission. Grant it, or refuse the request.' },
  correct: { status: 400, means: 'The request is wrong. Tell whoever sent it.' },
  create: { status: 404, means: 'Nothing is there. Make it first, or say so.' },
  decide: { status: 409, means: 'Something else is there, or in the way. Ask what to do with it.' },
  reread: { status: 412, means: 'What the caller knows is out of date. Read again, and repeat the change.' },
  retry: { status: 503, means: 'Others are at work there, or all is in use. Try again later, a few times.' },
  replace: { status: 500, means: 'This cannot be done there. Use another call, such as `move` or `cp`.' },
  shrink: {
    status: 507,
    means: 'A disk, a quota or a limit is full. Make room, or refuse what is too large.',
  },
  stop: { status: 499, means: 'The caller stopped the work. Nothing has to be done.' },
  reopen: { status: 500, means: 'The root is closed. Open it again, or find out who closed it too early.' },
  fix: { status: 500, means: 'The program has a bug. Let it be seen.' },
  deploy: { status: 500, means: 'No root works on this machine. Change the kernel or the container.' },
  report: { status: 500, means: 'The system failed. Log it, and give up.' },
};

/** The reasons, which say more than the code does. */
const BY_REASON = {
  __proto__: null,
  outside: 'refuse',
  symlink: 'refuse',
  mount: 'refuse',
  hardlink: 'refuse',
  special: 'refuse',
  readonly: 'refuse',
  closed: 'reopen',
  'into-itself': 'correct',
  'same-file': 'correct',
  changed: 'retry',
  vanished: 'retry',
  version: 'reread',
  locked: 'retry',
  kernel: 'deploy',
  seccomp: 'deploy',
};

/** The codes of errors that have no reason. */
const BY_CODE = {
  __proto__: null,
  EACCES: 'permit',
  EPERM: 'permit',
  ENAMETOOLONG: 'correct',
  ELOOP: 'correct',
  // A path with a NUL byte, for one.
  ERR_INVALID_ARG_VALUE: 'correct',
  ENOENT: 'create',
  EEXIST: 'decide',
  EISDIR: 'decide',
  ENOTDIR: 'decide',
  ENOTEMPTY: 'decide',
  EBUSY: 'decide',
  ESTALE: 'reread',
  EAGAIN: 'retry',
  ETXTBSY: 'retry',
  ENOMEM: 'retry',
  EMFILE: 'retry',
  ENFILE: 'retry',
  EXDEV: 'replace',
  EINVAL: 'replace',
  ENOTSUP: 'replace',
  ENXIO: 'replace',
  ENOSPC: 'shrink',
  EDQUOT: 'shrink',
  EFBIG: 'shrink',
  EMLINK: 'shrink',
  ERR_FS_FILE_TOO_LARGE: 'shrink',
  ERR_STRING_TOO_LONG: 'shrink',
  ABORT_ERR: 'stop',
  EBADF: 'reopen',
  ERR_INVALID_ARG_TYPE: 'fix',
  ERR_OUT_OF_RANGE: 'fix',
  ERR_INVALID_THIS: 'fix',
  ERR_METHOD_NOT_IMPLEMENTED: 'fix',
  ENOSYS: 'deploy',
  EIO: 'report',
  EROFS: 'report',
};

/** Gives the action for an error, what it means, and an HTTP status. What no root throws is reported. */
function adviceOn({ reason, code }) {
  const action = BY_REASON[reason] ?? BY_CODE[code] ?? 'report';
  return { action, ...ACTIONS[action] };
}

module.exports = { ACTIONS, BY_CODE, BY_REASON, adviceOn };
