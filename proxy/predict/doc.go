// Package predict answers HTTP requests that carry rows: from an R function that
// takes a data.frame, or from the stages of a pipeline.
//
// Rows of concurrent requests are put into one data.frame, R is called once, and
// each caller gets its own rows back, in its own order: for R a call with thirty
// rows costs about as much as one with one row. A [Predictor] is a graph of the
// flow runtime. Its source is the callers, a batcher cuts their rows into batches
// as workers become free, the Pool stage that pipelines use calls R, and the sink
// takes the answers apart.
//
// What is promised: a row that R cannot do does not harm others, whether of the
// same request or of somebody else's. Rows of one request keep their order.
// Nothing waits while a worker is free, unless the endpoint says so. A caller that
// has gone is not computed for, where R has not begun.
//
// Rows come as JSON, NDJSON, CSV or Arrow and go out in the same form, or in the
// one that Accept asks for. docs/predict.md is the manual.
package predict
