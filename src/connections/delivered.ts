// What of a state depends on when it came to this process. It is the same for every connection.

/** A state and when it was delivered, on the monotonic clock: what a full socket missed must not be sent when it is old. */
export type Delivered<T> = T & { readonly deliveredAt: number };
