// What the loader may find, and a compiler does not.
declare module '*.node' {
  const binding: import('./binding').Binding;
  export = binding;
}
declare module '@cocalc/openat2-linux-x64-gnu' {
  const binding: import('./binding').Binding;
  export = binding;
}
declare module '@cocalc/openat2-linux-x64-musl' {
  const binding: import('./binding').Binding;
  export = binding;
}
declare module '@cocalc/openat2-linux-arm64-gnu' {
  const binding: import('./binding').Binding;
  export = binding;
}
declare module '@cocalc/openat2-linux-arm64-musl' {
  const binding: import('./binding').Binding;
  export = binding;
}
