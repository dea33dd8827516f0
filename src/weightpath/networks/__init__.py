"""Recurrent networks: linear in continuous and discrete time, nonlinear rate networks, factored ones."""
