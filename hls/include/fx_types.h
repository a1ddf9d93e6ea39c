// Between hls4ml's fixed-point arrays and arrays of raw codes.
#ifndef FX_TYPES_H_
#define FX_TYPES_H_

#include "fx_ops.h"

namespace fx {

// code = the bits of value; the code's type may be narrower than the value's where the range is proven.
template <class D, class T> void codes(const D *value, T *code, int n) {
#pragma HLS INLINE
    for (int i = 0; i < n; i++) {
#pragma HLS UNROLL
        code[i] = bits(value[i]);
    }
}

// The value with these bits.
template <class T, class D> void values(const T *code, D *value, int n) {
#pragma HLS INLINE
    const int W = raw_of<D>::width;
    for (int i = 0; i < n; i++) {
#pragma HLS UNROLL
        typename raw_of<D>::type raw = code[i];
        value[i].range(W - 1, 0) = raw.range(W - 1, 0);
    }
}

} // namespace fx

#endif
