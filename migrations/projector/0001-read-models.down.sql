DROP TABLE client_segment_history, clients, loyalty_segments, intent, projection, projection_offset;
