// What the generated code needs beyond the operators of integers, on codes of either vendor's types.
#ifndef FX_OPS_H_
#define FX_OPS_H_

#include "fx_integers.h"

namespace fx {

// The 32 bits `low` behind `high`: constants that no C++ literal holds.
template <class T, class A> T join(const A &high, unsigned low) {
#pragma HLS INLINE
    return T(T(T(high) << 32) | T(ap_uint<32>(low)));
}

// floor(a / 2**S + 1/2) with ties to the odd neighbour, which ap_fixed does not have; S >= 1.
template <int W, int S, class A> ap_int<W> round_to_odd(const A &a) {
#pragma HLS INLINE
    ap_int<W> v = a;
    ap_int<W> one = 1;
    ap_int<W> low = ap_int<W>(v >> S) & one;
    ap_int<W> sum = v + ap_int<W>(one << (S - 1)) - low;
    return sum >> S;
}

// AP_WRAP_SM with N = 0: where q does not fit, the wrapped code takes the sign `above` and else its complement.
template <int W, class A> ap_int<W> wrap_sign_magnitude(const A &q, bool above) {
#pragma HLS INLINE
    ap_int<W> wrapped = q;
    if (wrapped == q)
        return wrapped;
    return bool(wrapped[W - 1]) == above ? wrapped : ap_int<W>(~wrapped);
}

// a * 2**n in T; n may exceed T's width where a is 0.
template <class T, int W, class A> T shift_left(const A &a, int n) {
#pragma HLS INLINE
    return n < W ? T(T(a) << n) : T(0);
}

// a / b toward zero in T, which holds a, b and the quotient; 0 where b is 0.
template <class T, class A, class B> T divide(const A &a, const B &b) {
#pragma HLS INLINE
    T dividend = a, divisor = b;
    if (divisor == 0)
        return 0;
    return T(dividend / divisor);
}

// Number of significant bits of a >= 0 of width W.
template <int W, class A> int leading_one(const A &a) {
#pragma HLS INLINE
    int n = 0;
    for (int i = 0; i < W; i++) {
#pragma HLS UNROLL
        if (a[i])
            n = i + 1;
    }
    return n;
}

} // namespace fx

#endif
