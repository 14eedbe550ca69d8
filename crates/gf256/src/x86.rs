//! The same with vectors.

#![allow(
    clippy::cast_ptr_alignment,
    reason = "all loads and stores here take any address"
)]

use std::arch::x86_64::{
    __m128i, __m256i, _mm_and_si128, _mm_loadu_si128, _mm_set1_epi8, _mm_shuffle_epi8,
    _mm_srli_epi64, _mm_storeu_si128, _mm_xor_si128, _mm256_and_si256, _mm256_broadcastsi128_si256,
    _mm256_loadu_si256, _mm256_set1_epi8, _mm256_shuffle_epi8, _mm256_srli_epi64,
    _mm256_storeu_si256, _mm256_xor_si256,
};

/// Does the front of two equally long strings, as far as whole vectors go, and says how far.
pub(crate) fn mul_add(to: &mut [u8], from: &[u8], products: &[u8; 32]) -> usize {
    if is_x86_feature_detected!("avx2") {
        // SAFETY: the processor has AVX2, as was just found.
        unsafe { mul_add_avx2(to, from, products) }
    } else if is_x86_feature_detected!("ssse3") {
        // SAFETY: the processor has SSSE3, as was just found.
        unsafe { mul_add_ssse3(to, from, products) }
    } else {
        0
    }
}

#[target_feature(enable = "avx2")]
fn mul_add_avx2(to: &mut [u8], from: &[u8], products: &[u8; 32]) -> usize {
    // SAFETY: both loads are of 16 of the 32 bytes.
    let (low, high) = unsafe {
        (
            _mm_loadu_si128(products.as_ptr().cast::<__m128i>()),
            _mm_loadu_si128(products.as_ptr().add(16).cast::<__m128i>()),
        )
    };
    let (low, high) = (
        _mm256_broadcastsi128_si256(low),
        _mm256_broadcastsi128_si256(high),
    );
    let half = _mm256_set1_epi8(15);
    let mut done = 0;
    for (to, from) in to.chunks_exact_mut(32).zip(from.chunks_exact(32)) {
        // SAFETY: the chunks are 32 bytes long, and the instructions take any address.
        unsafe {
            let bytes = _mm256_loadu_si256(from.as_ptr().cast::<__m256i>());
            let lower = _mm256_shuffle_epi8(low, _mm256_and_si256(bytes, half));
            let upper = _mm256_and_si256(_mm256_srli_epi64::<4>(bytes), half);
            let product = _mm256_xor_si256(lower, _mm256_shuffle_epi8(high, upper));
            let to = to.as_mut_ptr().cast::<__m256i>();
            _mm256_storeu_si256(to, _mm256_xor_si256(_mm256_loadu_si256(to), product));
        }
        done += 32;
    }
    done
}

#[target_feature(enable = "ssse3")]
fn mul_add_ssse3(to: &mut [u8], from: &[u8], products: &[u8; 32]) -> usize {
    // SAFETY: both loads are of 16 of the 32 bytes.
    let (low, high) = unsafe {
        (
            _mm_loadu_si128(products.as_ptr().cast::<__m128i>()),
            _mm_loadu_si128(products.as_ptr().add(16).cast::<__m128i>()),
        )
    };
    let half = _mm_set1_epi8(15);
    let mut done = 0;
    for (to, from) in to.chunks_exact_mut(16).zip(from.chunks_exact(16)) {
        // SAFETY: the chunks are 16 bytes long, and the instructions take any address.
        unsafe {
            let bytes = _mm_loadu_si128(from.as_ptr().cast::<__m128i>());
            let lower = _mm_shuffle_epi8(low, _mm_and_si128(bytes, half));
            let upper = _mm_and_si128(_mm_srli_epi64::<4>(bytes), half);
            let product = _mm_xor_si128(lower, _mm_shuffle_epi8(high, upper));
            let to = to.as_mut_ptr().cast::<__m128i>();
            _mm_storeu_si128(to, _mm_xor_si128(_mm_loadu_si128(to), product));
        }
        done += 16;
    }
    done
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{PRODUCTS, mul};

    type Kernel = fn(&mut [u8], &[u8], &[u8; 32]) -> usize;

    #[test]
    fn each_kernel_that_this_processor_has_multiplies() {
        let mut kernels: Vec<(Kernel, usize)> = vec![(mul_add, 0)];
        if is_x86_feature_detected!("ssse3") {
            // SAFETY: the processor has SSSE3.
            kernels.push((|t, f, p| unsafe { mul_add_ssse3(t, f, p) }, 96));
        }
        if is_x86_feature_detected!("avx2") {
            // SAFETY: the processor has AVX2.
            kernels.push((|t, f, p| unsafe { mul_add_avx2(t, f, p) }, 96));
        }
        let from: Vec<u8> = (0..100_u32).map(|i| (i * 37) as u8).collect();
        for (kernel, least) in kernels {
            for factor in [1, 2, 0x81, 0xff] {
                let mut to = vec![0x55; from.len()];
                let done = kernel(&mut to, &from, &PRODUCTS[usize::from(factor)]);
                assert!(done >= least);
                for i in 0..done {
                    assert_eq!(to[i], 0x55 ^ mul(factor, from[i]));
                }
                assert!(to[done..].iter().all(|b| *b == 0x55));
            }
        }
    }
}
