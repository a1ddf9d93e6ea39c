// Prints the raw integers of a table that one of hls4ml's initializers fills, on one line.
#include "ap_fixed.h"
#include "nnet_utils/nnet_activation.h"
#include "nnet_utils/nnet_layernorm.h"
#include <cstdio>

template <class T, int N, class F> void show(F init) {
    static T table[N];
    init(table);
    for (int i = 0; i < N; i++) {
        ap_int<64> raw = table[i] < 0 ? -1 : 0;
        for (int b = 0; b < T::width; b++)
            raw[b] = table[i][b];
        std::printf("%lld ", raw.to_int64());
    }
    std::printf("\n");
}

template <class C> void entries_of() {
    typedef typename C::table_t T;
    show<T, 1024>(nnet::init_sigmoid_table<C, 1024>);
    show<T, 1024>(nnet::init_tanh_table<C, 1024>);
    show<T, 1024>(nnet::init_softplus_table<C, 1024>);
    show<T, 1024>(nnet::init_softsign_table<C, 1024>);
    show<T, 1024>(nnet::init_elu_table<C, 1024>);
    show<T, 1024>(nnet::init_selu_table<C, 1024>);
    show<T, 512>([](T *t) { nnet::init_exp_table<ap_ufixed<15, 5>, C>(t, true); });
    show<T, 512>([](T *t) { nnet::init_exp_table<ap_fixed<16, 4>, C>(t); });
    show<T, 256>(nnet::init_invert_table<ap_fixed<18, 8>, C>);
    show<T, 1024>(nnet::init_exp_table_legacy<C, 1024>);
    show<T, 1024>(nnet::init_invert_table_legacy<C, 1024>);
    show<T, 4096>(nnet::init_invert_sqr_table<C, 4096>);
}

template <class T> struct config : nnet::activ_config {
    typedef T table_t;
    typedef T exp_table_t;
    typedef T inv_table_t;
    static const unsigned exp_table_size = 512;
    static const unsigned inv_table_size = 256;
    static constexpr float exp_scale = 0.7;
    static const unsigned epsilon_power_of_10 = 3;
    static const unsigned table_range_power2 = 0;
};
