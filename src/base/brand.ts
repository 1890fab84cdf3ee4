declare const brand: unique symbol

/** A value of T that only the parser of `Name` may make: look-alike strings cannot be mixed up. */
export type Brand<T, Name extends string> = T & { readonly [brand]: Name }
