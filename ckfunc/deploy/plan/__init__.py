"""Plans: application and project read, compared, narrowed, checked and saved."""
