
mod checkout;
mod slack_double;
