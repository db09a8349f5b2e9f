//go:build cgo

// DuckDB's C functions that allocate memory of a query throw when its limit is
// reached. Here the exception is caught: in C or Go frames it would end the
// process.

#include "copy.h"

#include <cstring>
#include <exception>

extern "C" {
void duckdb_unsafe_vector_assign_string_element_len(void *vector, uint64_t index, const char *data,
                                                    uint64_t length);
void *duckdb_vector_get_data(void *vector);
int duckdb_list_vector_reserve(void *vector, uint64_t capacity);
int duckdb_list_vector_set_size(void *vector, uint64_t size);
}

template <typename Work>
static int64_t catching(char **error, Work work) {
	try {
		return work();
	} catch (const std::exception &e) {
		*error = strdup(e.what());
	} catch (...) {
		*error = strdup("unknown exception");
	}
	return RPIPE_FAILED;
}

static inline int bit(const uint8_t *bits, int64_t i) { return (bits[i >> 3] >> (i & 7)) & 1; }

static inline int is_valid(const uint64_t *valid, int64_t i) { return !valid || ((valid[i >> 6] >> (i & 63)) & 1); }

void rpipe_put_validity(uint64_t *valid, const uint8_t *bits, int64_t off, int64_t n) {
	for (int64_t done = 0; done < n; done += 64) {
		int64_t count = n - done < 64 ? n - done : 64;
		int64_t first = off + done;
		int shift = first & 7;
		// A word begins in the middle of a byte, so its bits may be spread over nine.
		int64_t bytes = (shift + count + 7) >> 3;
		uint64_t word = 0;
		memcpy(&word, bits + (first >> 3), bytes < 8 ? bytes : 8);
		word >>= shift;
		if (bytes > 8) {
			word |= (uint64_t)bits[(first >> 3) + 8] << (64 - shift);
		}
		valid[done >> 6] = word;
	}
}

void rpipe_put_bools(uint8_t *out, const uint8_t *bits, int64_t off, int64_t n) {
	for (int64_t i = 0; i < n; i++) {
		out[i] = bit(bits, off + i);
	}
}

// assign writes one value; short ones need no memory of the vector.
static inline void assign(void *vector, rpipe_string *out, int64_t at, const char *data, int32_t length) {
	if (length > 12) {
		duckdb_unsafe_vector_assign_string_element_len(vector, at, data, length);
		return;
	}
	out[at].inlined.length = length;
	memset(out[at].inlined.data, 0, 12);
	memcpy(out[at].inlined.data, data, length);
}

// starts_inside tells that a text begins in the middle of a character. Together
// with the check that the whole buffer is UTF-8 it makes sure that each text is.
static inline int starts_inside(const char *data, int32_t length) {
	return length > 0 && ((uint8_t)data[0] & 0xC0) == 0x80;
}

// The row that is wrong is one that is not UTF-8, where text is set.
int64_t rpipe_put_strings(void *vector, const int32_t *ends, const char *data,
                          const uint8_t *bits, int64_t off, int64_t n, int text, char **error) {
	rpipe_string *out = static_cast<rpipe_string *>(duckdb_vector_get_data(vector));
	return catching(error, [&]() -> int64_t {
		for (int64_t i = 0; i < n; i++) {
			if (bits && !bit(bits, off + i)) {
				continue;
			}
			const char *start = data + ends[i];
			int32_t length = ends[i + 1] - ends[i];
			if (text && starts_inside(start, length)) {
				return i;
			}
			assign(vector, out, i, start, length);
		}
		return RPIPE_DONE;
	});
}

// The row that is wrong is one whose code has no level.
int64_t rpipe_put_levels(void *vector, const int32_t *codes, int64_t levels, const int32_t *ends,
                         const char *data, const uint8_t *bits, int64_t off, int64_t n, char **error) {
	rpipe_string *out = static_cast<rpipe_string *>(duckdb_vector_get_data(vector));
	return catching(error, [&]() -> int64_t {
		for (int64_t i = 0; i < n; i++) {
			if (bits && !bit(bits, off + i)) {
				continue;
			}
			int32_t c = codes[i];
			if (c < 0 || c >= levels) {
				return i;
			}
			assign(vector, out, i, data + ends[c], ends[c + 1] - ends[c]);
		}
		return RPIPE_DONE;
	});
}

int64_t rpipe_reserve_list(void *vector, uint64_t elements, char **error) {
	return catching(error, [&]() -> int64_t {
		duckdb_list_vector_reserve(vector, elements);
		duckdb_list_vector_set_size(vector, elements);
		return RPIPE_DONE;
	});
}

static inline void set_bit(uint8_t *bits, int64_t i, int value) {
	uint8_t mask = (uint8_t)1 << (i & 7);
	if (value) {
		bits[i >> 3] |= mask;
	} else {
		bits[i >> 3] &= ~mask;
	}
}

// rpipe_get_validity returns how many of the rows are null.
int64_t rpipe_get_validity(uint8_t *bits, int64_t off, const uint64_t *valid, int64_t from, int64_t n) {
	int64_t nulls = 0;
	for (int64_t i = 0; i < n; i++) {
		int v = is_valid(valid, from + i);
		nulls += !v;
		set_bit(bits, off + i, v);
	}
	return nulls;
}

void rpipe_get_bools(uint8_t *bits, int64_t off, const uint8_t *in, int64_t from, int64_t n) {
	for (int64_t i = 0; i < n; i++) {
		set_bit(bits, off + i, in[from + i] & 1);
	}
}

int64_t rpipe_string_bytes(const void *in, const uint64_t *valid, int64_t from, int64_t n) {
	const rpipe_string *s = static_cast<const rpipe_string *>(in);
	int64_t total = 0;
	for (int64_t i = from; i < from + n; i++) {
		if (is_valid(valid, i)) {
			total += s[i].inlined.length;
		}
	}
	return total;
}

// rpipe_get_strings appends to a column whose last end is ends[0].
void rpipe_get_strings(char *out, int32_t *ends, const void *in, const uint64_t *valid, int64_t from, int64_t n) {
	const rpipe_string *s = static_cast<const rpipe_string *>(in);
	int32_t end = ends[0];
	for (int64_t i = 0; i < n; i++) {
		const rpipe_string *v = s + from + i;
		if (is_valid(valid, from + i)) {
			uint32_t length = v->inlined.length;
			memcpy(out, length <= 12 ? v->inlined.data : v->pointer.data, length);
			out += length;
			end += length;
		}
		ends[i + 1] = end;
	}
}
