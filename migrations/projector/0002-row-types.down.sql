DROP TYPE history_row, profile_row, state_row;
