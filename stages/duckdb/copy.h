#include <stdint.h>

// A VARCHAR or BLOB value of DuckDB: duckdb_string_t of duckdb.h.
typedef struct {
	uint32_t length;
	union {
		char inlined[12];
		struct {
			char prefix[4];
			char *data;
		} pointer;
	} value;
} rpipe_string;

// Into DuckDB. Bits are Arrow's bitmaps, least significant bit first, from bit off on.
void rpipe_put_validity(uint64_t *valid, const uint8_t *bits, int64_t off, int64_t n);
void rpipe_put_bools(uint8_t *out, const uint8_t *bits, int64_t off, int64_t n);
int64_t rpipe_put_strings(void *vector, const int32_t *ends, const char *data,
                          const uint8_t *bits, int64_t off, int64_t n, int text);
int64_t rpipe_put_levels(void *vector, const int32_t *codes, int64_t levels, const int32_t *ends,
                         const char *data, const uint8_t *bits, int64_t off, int64_t n);

// Out of DuckDB: rows [from, from+n) of a vector. valid may be null.
int64_t rpipe_get_validity(uint8_t *bits, int64_t off, const uint64_t *valid, int64_t from, int64_t n);
void rpipe_get_bools(uint8_t *bits, int64_t off, const uint8_t *in, int64_t from, int64_t n);
int64_t rpipe_string_bytes(const void *in, const uint64_t *valid, int64_t from, int64_t n);
void rpipe_get_strings(char *out, int32_t *ends, const void *in, const uint64_t *valid, int64_t from, int64_t n);
