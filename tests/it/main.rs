
mod checkout;
mod slack_double;
mod generator;
