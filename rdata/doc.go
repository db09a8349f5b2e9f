// Package rdata reads and writes R's serialization format: what serialize(),
// saveRDS() and R's own parallel packages exchange. It knows nothing of the rest
// of rpipe and needs no R.
//
// [Unmarshal] and [Append] convert whole streams, versions 2 and 3, big-endian
// (XDR) and native little-endian; [ReadFile] and [WriteFile] convert .rds files,
// plain or compressed by gzip, bzip2 or xz. Reading finds out which of them it
// has; writing is told by a [Format] and a [Compression].
//
// An R object is a [Value]: vectors, lists and pairlists become Go slices, with
// their attributes in R's order, so a data.frame is a *List with the attributes
// names, class and row.names. What has no meaning outside R (functions, calls,
// environments, S4 objects, external pointers) becomes an [Opaque], whose bytes R
// turns into the same object again. Objects that share an environment with each
// other do so afterwards only where one Opaque holds both.
//
// # Items
//
// What crosses to an R worker and back is an item: a little-endian version 2
// stream without its 14-byte header, which [AppendHeader] writes. [AppendItem] and
// [UnmarshalItem] convert items; [SplitList] cuts a list into the items of its
// elements without decoding them. A producer that has columns in memory writes
// an item with an [Encoder], which neither makes Values nor allocates.
//
// # Text
//
// Strings are UTF-8 in Go. On reading, strings marked latin1 are converted (R
// reads latin1 as Windows-1252, so this package does), strings without a mark
// are taken in the encoding that a version 3 header names, UTF-8 otherwise, and
// strings marked "bytes" are an error. On writing, anything but UTF-8, and any
// string with a NUL, which R cannot hold, is an error that names the element.
//
// # Trust
//
// Input may come from anyone: a malformed stream gives a *[SyntaxError] with its
// offset, never a panic, and memory grows in proportion to the input that is
// there, within [Limits].
//
// The format is described in "R Internals", section 1.8, and is defined by
// src/main/serialize.c and src/main/altclasses.c of R.
package rdata
