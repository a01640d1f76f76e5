"""The one recurrence behind Row LSTM and Diagonal BiLSTM, on a ladder of kernels."""
