<?php

declare(strict_types=1);

namespace Tests;

use PHPUnit\Framework\TestCase;
use ReflectionMethod;

/** The commands that a Predis user can call. */
final class TableTest extends TestCase
{
    public function test_every_command_of_predis_is_a_method(): void
    {
        $names = file(__DIR__ . '/Fixtures/commands-of-predis.txt', FILE_IGNORE_NEW_LINES | FILE_SKIP_EMPTY_LINES) ?: [];
        self::assertCount(395, $names);
        $names = array_map(static fn (string $line): string => explode("\t", $line)[0], $names);
        $missing = array_filter($names, static fn (string $name): bool => !method_exists(\ResilientRedis::class, $name));
        self::assertSame([], array_values($missing), 'these are no methods');
    }

    public function test_command_methods_are_public_methods_of_objects(): void
    {
        foreach (['get', 'set', 'del', 'hset', 'eval', 'xadd', 'geosearch'] as $name) {
            $method = new ReflectionMethod(\ResilientRedis::class, $name);
            self::assertTrue($method->isPublic() && !$method->isStatic(), $name);
        }
    }
}
