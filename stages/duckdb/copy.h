#ifndef RPIPE_COPY_H
#define RPIPE_COPY_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// A VARCHAR or BLOB value of DuckDB: duckdb_string_t of duckdb.h.
typedef union {
	struct {
		uint32_t length;
		char prefix[4];
		char *data;
	} pointer; // of more than 12 bytes
	struct {
		uint32_t length;
		char data[12];
	} inlined;
} rpipe_string;

// Into DuckDB. Bits are Arrow's bitmaps, least significant bit first, from bit off on.
void rpipe_put_validity(uint64_t *valid, const uint8_t *bits, int64_t off, int64_t n);
void rpipe_put_bools(uint8_t *out, const uint8_t *bits, int64_t off, int64_t n);

// These return RPIPE_DONE, RPIPE_FAILED with what DuckDB said in *error, which
// the caller frees, or the number of the row that is wrong.
enum { RPIPE_DONE = -1, RPIPE_FAILED = -2 };
int64_t rpipe_put_strings(void *vector, const int32_t *ends, const char *data,
                          const uint8_t *bits, int64_t off, int64_t n, int text, char **error);
int64_t rpipe_put_levels(void *vector, const int32_t *codes, int64_t levels, const int32_t *ends,
                         const char *data, const uint8_t *bits, int64_t off, int64_t n, char **error);
int64_t rpipe_reserve_list(void *vector, uint64_t elements, char **error);

// Out of DuckDB: rows [from, from+n) of a vector. valid may be null.
int64_t rpipe_get_validity(uint8_t *bits, int64_t off, const uint64_t *valid, int64_t from, int64_t n);
void rpipe_get_bools(uint8_t *bits, int64_t off, const uint8_t *in, int64_t from, int64_t n);
int64_t rpipe_string_bytes(const void *in, const uint64_t *valid, int64_t from, int64_t n);
void rpipe_get_strings(char *out, int32_t *ends, const void *in, const uint64_t *valid, int64_t from, int64_t n);

#ifdef __cplusplus
}
#endif

#endif
