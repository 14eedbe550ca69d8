//! Arithmetic in GF(2^8) modulo x^8 + x^4 + x^3 + x^2 + 1, the field of Reed-Solomon codes such
//! as those of `klauspost/reedsolomon`.
//!
//! [`mul_add`] is the one operation that matters for speed. It looks products up by half bytes,
//! 32 or 16 bytes at a time where the processor has AVX2 or SSSE3, and one by one elsewhere.
//!
//! ```
//! assert_eq!(gost_gf256::mul(2, 0x80), 0x1d);
//! let mut sum = [1, 2, 3];
//! gost_gf256::mul_add(&mut sum, &[0x80, 0, 1], 2);
//! assert_eq!(sum, [0x1c, 2, 1]);
//! ```

#[cfg(target_arch = "x86_64")]
mod x86;

/// The polynomial of the field, without its highest bit.
const POLYNOMIAL: u8 = 0x1d;

/// Products of each number with all half bytes: 16 for the lower, then 16 for the upper half.
static PRODUCTS: [[u8; 32]; 256] = products();

const fn slow_mul(mut a: u8, mut b: u8) -> u8 {
    let mut product = 0;
    while b > 0 {
        if b & 1 == 1 {
            product ^= a;
        }
        a = (a << 1) ^ if a & 0x80 == 0 { 0 } else { POLYNOMIAL };
        b >>= 1;
    }
    product
}

const fn products() -> [[u8; 32]; 256] {
    let mut table = [[0; 32]; 256];
    let mut a = 0;
    while a < 256 {
        let mut half = 0;
        while half < 16 {
            table[a][half] = slow_mul(a as u8, half as u8);
            table[a][half + 16] = slow_mul(a as u8, (half as u8) << 4);
            half += 1;
        }
        a += 1;
    }
    table
}

/// The product of two numbers.
pub fn mul(a: u8, b: u8) -> u8 {
    lookup(&PRODUCTS[usize::from(a)], b)
}

fn lookup(products: &[u8; 32], b: u8) -> u8 {
    products[usize::from(b & 15)] ^ products[usize::from(b >> 4) + 16]
}

/// The inverse of a number; 0 for 0, which has none.
pub fn inverse(a: u8) -> u8 {
    // a^254, because a^255 is 1.
    let square = |a| mul(a, a);
    let (mut power, mut product) = (a, 1);
    for _ in 0..7 {
        power = square(power);
        product = mul(product, power);
    }
    product
}

/// Adds `factor` times each byte of `from` to the byte of `to` at the same place. What is longer
/// in one of the two is not looked at.
pub fn mul_add(to: &mut [u8], from: &[u8], factor: u8) {
    let length = to.len().min(from.len());
    let (to, from) = (&mut to[..length], &from[..length]);
    if factor == 0 {
        return;
    }
    let products = &PRODUCTS[usize::from(factor)];
    #[cfg(target_arch = "x86_64")]
    let done = x86::mul_add(to, from, products);
    #[cfg(not(target_arch = "x86_64"))]
    let done = 0;
    for (to, from) in to[done..].iter_mut().zip(&from[done..]) {
        *to ^= lookup(products, *from);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_number_but_zero_has_an_inverse() {
        for a in 1..=255 {
            assert_eq!(mul(a, inverse(a)), 1, "{a}");
        }
        assert_eq!(inverse(0), 0);
    }

    #[test]
    fn products_are_those_of_the_definition() {
        for a in 0..=255 {
            for b in 0..=255 {
                assert_eq!(mul(a, b), slow_mul(a, b));
            }
        }
    }

    proptest! {
        #[test]
        fn whatever_the_lengths_the_sum_is_that_of_single_bytes(
            to in proptest::collection::vec(any::<u8>(), 0..300),
            from in proptest::collection::vec(any::<u8>(), 0..300),
            factor: u8,
        ) {
            let mut sum = to.clone();
            mul_add(&mut sum, &from, factor);
            for (i, sum) in sum.iter().enumerate() {
                let more = from.get(i).map_or(0, |b| slow_mul(factor, *b));
                prop_assert_eq!(*sum, to[i] ^ more);
            }
        }
    }
}
