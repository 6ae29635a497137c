"""Moving the truth to another database while mail flows: frozen, copied, verified, marked, taken up."""
