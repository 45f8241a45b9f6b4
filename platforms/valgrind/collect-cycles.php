<?php

declare(strict_types=1);

// For valgrind: PHP leaves objects that refer to each other to the end of its own memory, which with malloc never comes,
// so they would count as lost. What is still lost after this has a reference too many.
register_shutdown_function(static function (): void {
    gc_collect_cycles();
});
