// Codes in and out on the host: one int64 a code, or 32-bit limbs (two's complement, low limb first).
#ifndef FX_CROSSING_H_
#define FX_CROSSING_H_

#include "fx_integers.h"
#include <cstdint>

namespace fx {

template <int LIMBS> struct crossing {
    template <class T> static void load(T &x, const void *from, long at) {
        const uint32_t *limb = static_cast<const uint32_t *>(from) + at * LIMBS;
        ap_int<LIMBS * 32> whole = 0;
        for (int i = 0; i < LIMBS; i++)
            put_limb(whole, i, limb[i]);
        x = whole;
    }
    template <class T> static void store(const T &x, void *to, long at) {
        uint32_t *limb = static_cast<uint32_t *>(to) + at * LIMBS;
        ap_int<LIMBS * 32> whole = x;
        for (int i = 0; i < LIMBS; i++)
            limb[i] = limb_of(whole, i);
    }
};

template <> struct crossing<0> {
    template <class T> static void load(T &x, const void *from, long at) {
        x = static_cast<const int64_t *>(from)[at];
    }
    template <class T> static void store(const T &x, void *to, long at) {
        static_cast<int64_t *>(to)[at] = x.to_int64();
    }
};

} // namespace fx

#endif
