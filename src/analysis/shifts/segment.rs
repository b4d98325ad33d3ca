//! How probable one stretch of a series is, taken as a straight line with autocorrelated noise.
//!
//! The model of a segment is `y = level + slope · t + e`, with `e` a stationary first-order
//! autoregression of known coefficient and unknown variance. Coefficients have normal priors and the
//! variance an inverse gamma prior, so that the marginal likelihood is closed (Bishop 2006, section
//! 3.5.1; Fearnhead 2006 for its use in segmentation). Whitening makes the sums cumulative: any
//! segment costs the same few operations.

/// Shape of the inverse gamma prior of a segment's noise variance: how strongly segments share it.
const VARIANCE_SHAPE: f64 = 10.0;
/// Prior share of segments that have a slope.
const SLOPED: f64 = 0.5;

/// Cumulative sums over the whitened series, from which any segment's evidence is read.
pub(super) struct Evidence {
    autocorrelation: f64,
    /// Prior scale of the noise variance.
    noise: f64,
    values: Vec<f64>,
    /// At index `i`: sums over whitened points `1..i` of time, time², value, value² and time · value.
    weight: Vec<f64>,
    /// Half the sum of the logarithms of the weights.
    normal: Vec<f64>,
    time: Vec<f64>,
    time_squared: Vec<f64>,
    value: Vec<f64>,
    value_squared: Vec<f64>,
    product: Vec<f64>,
    /// `ln Γ(VARIANCE_SHAPE + m / 2)` by the number of points m.
    gamma: Vec<f64>,
}

impl Evidence {
    /// `values` are of unit scale; `autocorrelation` lies in 0 to below 1; `noise` is a positive variance.
    pub(super) fn new(values: &[f64], autocorrelation: f64, noise: f64, weights: &[f64]) -> Self {
        let count = values.len();
        let mut sums = Self {
            autocorrelation,
            noise,
            values: values.to_vec(),
            weight: vec![0.0; count + 1],
            normal: vec![0.0; count + 1],
            time: vec![0.0; count + 1],
            time_squared: vec![0.0; count + 1],
            value: vec![0.0; count + 1],
            value_squared: vec![0.0; count + 1],
            product: vec![0.0; count + 1],
            gamma: (0..=count).map(|points| libm::lgamma(VARIANCE_SHAPE + points as f64 / 2.0)).collect(),
        };
        for index in 0..count {
            let (mut time, mut value, mut weight) = (0.0, 0.0, 0.0);
            if index > 0 {
                time = index as f64 - autocorrelation * (index as f64 - 1.0);
                value = values[index] - autocorrelation * values[index - 1];
                weight = weights[index];
                sums.normal[index + 1] = sums.normal[index] + 0.5 * weight.ln();
            }
            sums.weight[index + 1] = sums.weight[index] + weight;
            sums.time[index + 1] = sums.time[index] + weight * time;
            sums.time_squared[index + 1] = sums.time_squared[index] + weight * time * time;
            sums.value[index + 1] = sums.value[index] + weight * value;
            sums.value_squared[index + 1] = sums.value_squared[index] + weight * value * value;
            sums.product[index + 1] = sums.product[index] + weight * time * value;
        }
        sums
    }

    /// Log marginal likelihood of the values `from..to`; at least one value.
    pub(super) fn of(&self, from: usize, to: usize) -> f64 {
        let points = (to - from) as f64;
        let one = 1.0 - self.autocorrelation;
        let first = 1.0 - self.autocorrelation * self.autocorrelation;
        let start = self.values[from];
        let sum = |sums: &[f64]| sums[to] - sums[from + 1];
        let rest = sum(&self.weight);
        // Times count from the middle of the segment, in units of its length.
        let middle = f64::midpoint(from as f64, to as f64 - 1.0);
        let (time, time_squared) = (sum(&self.time), sum(&self.time_squared));
        let shift = middle * one;
        let length = points.max(2.0);
        let begin = (from as f64 - middle) / length;

        let constant = one * one * rest + first;
        let cross = one * (time - shift * rest) / length + first * begin;
        let square = (time_squared - 2.0 * shift * time + shift * shift * rest) / (length * length)
            + first * begin * begin;
        let with_constant = one * sum(&self.value) + first * start;
        let with_time = (sum(&self.product) - shift * sum(&self.value)) / length + first * begin * start;
        let total = sum(&self.value_squared) + first * start * start;

        // Levels and rises vary like the whole series does, whose variance is 1.
        let level_prior = self.noise;
        let rise_prior = self.noise;
        let shape = VARIANCE_SHAPE + points / 2.0;
        let scale = VARIANCE_SHAPE * self.noise;
        let base = self.gamma[to - from] - self.gamma[0] + VARIANCE_SHAPE * scale.ln()
            - points / 2.0 * std::f64::consts::TAU.ln()
            + 0.5 * first.ln()
            + sum(&self.normal);

        let level_precision = constant + level_prior;
        let explained = with_constant * with_constant / level_precision;
        let flat = base + 0.5 * (level_prior / level_precision).ln()
            - shape * (scale + 0.5 * (total - explained).max(0.0)).ln();
        if points < 3.0 {
            return flat;
        }
        let rise_precision = square + rise_prior;
        let determinant = (level_precision * rise_precision - cross * cross).max(f64::MIN_POSITIVE);
        let explained = (rise_precision * with_constant * with_constant
            - 2.0 * cross * with_constant * with_time
            + level_precision * with_time * with_time)
            / determinant;
        let sloped = base + 0.5 * (level_prior * rise_prior / determinant).ln()
            - shape * (scale + 0.5 * (total - explained).max(0.0)).ln();
        add_logs(flat + (1.0 - SLOPED).ln(), sloped + SLOPED.ln())
    }
}

/// `ln(e^a + e^b)` without overflow.
pub(super) fn add_logs(one: f64, other: f64) -> f64 {
    let (high, low) = if one > other { (one, other) } else { (other, one) };
    if low == f64::NEG_INFINITY { high } else { high + (low - high).exp().ln_1p() }
}
