// Between hls4ml's fixed-point arrays or streams and arrays of raw codes.
#ifndef FX_TYPES_H_
#define FX_TYPES_H_

#include "fx_ops.h"
#include <type_traits>
#include <utility>

namespace fx {

// code = the bits of value; the code's type may be narrower than the value's where the range is proven.
template <class D, class T> void codes(const D *value, T *code, int n) {
#pragma HLS INLINE
    for (int i = 0; i < n; i++) {
#pragma HLS UNROLL
        code[i] = bits(value[i]);
    }
}

// The values with these bits.
template <class T, class D> void values(const T *code, D *value, int n) {
#pragma HLS INLINE
    for (int i = 0; i < n; i++) {
#pragma HLS UNROLL
        set_bits(value[i], code[i]);
    }
}

// The array that a stream carries at once.
template <class S> struct pack_of {
    typedef typename std::decay<decltype(std::declval<S &>().read())>::type type;
};

// The bits of a whole tensor from a stream: n codes, in packs of its own size.
template <class S, class T> void pull(S &stream, T *code, int n) {
#pragma HLS INLINE
    typedef typename pack_of<S>::type pack_t;
    const int size = pack_t::size;
    for (int i = 0; i < n / size; i++) {
#pragma HLS PIPELINE II=1
        pack_t pack = stream.read();
        for (int k = 0; k < size; k++) {
#pragma HLS UNROLL
            code[i * size + k] = bits(pack[k]);
        }
    }
}

// A whole tensor into a stream.
template <class T, class P, class S> void push_packs(const T *code, S &stream, int n) {
#pragma HLS INLINE
    const int size = P::size;
    for (int i = 0; i < n / size; i++) {
#pragma HLS PIPELINE II=1
        P pack;
        for (int k = 0; k < size; k++) {
#pragma HLS UNROLL
            set_bits(pack[k], code[i * size + k]);
        }
        stream.write(pack);
    }
}

template <class T, class S> void push(const T *code, S &stream, int n) {
#pragma HLS INLINE
    push_packs<T, typename pack_of<S>::type>(code, stream, n);
}

} // namespace fx

#endif
