<?php

declare(strict_types=1);

/* What a Lambda sandbox does with examples/document/lambda.php: loads it once and calls its handler for every event. */

/** @var Closure $handler */
require dirname(__DIR__, 2) . '/examples/document/lambda.php';

while (($line = fgets(STDIN)) !== false) {
    echo json_encode($handler(json_decode($line, true), null)), "\n";
}
