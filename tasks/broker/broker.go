// Package broker is the engine under the task queue: NATS JetStream, in this process or
// elsewhere, with the same client code. It keeps records (a stream of documents by
// subject, written on condition), work (messages that say which task may be claimed),
// presence, logs and objects, and knows nothing of what they mean.
//
// What is promised: a record that Write has acknowledged is on the disk, with
// Durability Always also after the power fails. Work is delivered at least once, until
// it is acknowledged; after a crash some of it may be missing, so whoever owns the
// records sends it again (Push does no harm where it is still there).
package broker
