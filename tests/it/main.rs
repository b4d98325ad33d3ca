
mod checkout;
